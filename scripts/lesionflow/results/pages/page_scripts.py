"""Names of the scripts and styles that all pages share, beside report.html."""

FOLDER = "report_files"  # beside report.html
# In the order in which a page loads them; a script of the viewer loads niivue.js when it is needed.
SCAN_SCRIPTS = ("libraries.js", "decisions.js", "viewer.js", "scan_view.js", "scan_page.js")
REPORT_SCRIPTS = (
    *SCAN_SCRIPTS[:-1],
    *("cohort_table.js", "distributions.js", "review_view.js", "report.js"),
)
STYLES = ("libraries.css", "pages.css")
SHARED_FILES = (*REPORT_SCRIPTS, SCAN_SCRIPTS[-1], *STYLES, "niivue.js", "LICENCES.txt")

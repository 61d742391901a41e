"""The page of the cohort: what is written into it before any script runs."""

import json
import re
import shutil
from pathlib import Path

import jinja2
import pandas as pd
import pytest

from lesionflow.base.digests import code_digest
from lesionflow.results.pages.cohort_page import cohort_page, write_report
from lesionflow.results.pages.html_page import render, script_json
from lesionflow.results.reviews.review_file import write_review
from support.pages import CARD, RUN, write_results
from support.paths import REPOSITORY
from support.reviews import decision

COHORT = pd.DataFrame(
    {
        "scan": ["sub-1", "sub-2", "sub-3"],
        "status": ["ok", "failed:crop", "excluded"],
        "reason": ["", "<broken> & cut", "by the config"],
        "weights_sha256": ["ff00", "", ""],
    }
)


def page(run=RUN, has_references=False):
    return cohort_page(COHORT, {}, run, has_references)


def test_failed_scans_have_their_reasons():
    text = page()
    assert "<b>1</b> ok" in text and "<b>1</b> failed:crop" in text
    failed = text[text.index('id="failed"') : text.index('id="methods"')]
    assert "sub-2" in failed and "&lt;broken&gt; &amp; cut" in failed and "<broken>" not in text
    assert "sub-3" not in failed  # the user has left it out


def test_the_page_says_how_its_numbers_were_computed():
    text = page()
    assert "snakemake --config &#39;cohort=my scans&#39;" in text
    assert "0.1.0, commit abc123, with files that differ from it" in text
    assert "numpy 2.4.1" in text
    for row in ("affine", "threshold", "weights (SHA-256)"):
        assert f'<th scope="row">{row}</th>' in text
    assert '<td class="why">ff00</td>' in text and '<th scope="row">include</th>' not in text


def test_the_page_is_written_whatever_images_of_a_scan_were_reviewed(tmp_path):
    results = write_results(tmp_path, {"sub-a": 1}).parent
    reviews = [decision(), decision("rejected", 2, scan_sha256="d" * 64)]
    write_review(results / "review_current.tsv", reviews)
    run = {**RUN, "settings": {**RUN["settings"], "review": ["before.tsv", "after.tsv"]}}
    write_report(results, results.rglob("*_lesions.js"), run, has_references=False)
    text = (results / "report.html").read_text()
    assert text.count('"decision":"accepted"') == text.count('"decision":"rejected"') == 1


def test_tables_of_the_reviews_and_of_the_evaluation_are_linked_where_they_exist():
    assert "review_current.tsv" not in page() and "evaluation.html" not in page()
    reviewed = {**RUN, "settings": {**RUN["settings"], "review": ["a.tsv"]}}
    text = page(reviewed, has_references=True)
    for name in ("review_current.tsv", "review_conflicts.csv", "evaluation.html"):
        assert f'href="{name}"' in text


def test_the_files_of_a_page_are_beside_it(tmp_path):
    report = write_results(tmp_path, {"sub-a": 1})
    for path in (report, report.parent / "net/sub-a/anat/sub-a_lesions.html"):
        text = path.read_text()
        links = re.findall(r'(?:src|href)="([^"#]+\.(?:js|css))"', text)
        assert len(links) >= 7
        assert all((path.parent / link).is_file() for link in links)
        assert "http:" not in text and "https:" not in text


@pytest.mark.parametrize(
    "text", ["</script><script>alert(1)</script>", "<!--", "a\u2028b", "&amp;"]
)
def test_data_of_scripts_cannot_end_the_script(text):
    written = str(script_json({"name": text}))
    assert not set("<>&\u2028") & set(written) and json.loads(written) == {"name": text}


def test_missing_numbers_are_no_json():
    with pytest.raises(ValueError):
        script_json([float("nan")])


def test_a_value_that_is_missing_is_an_error(tmp_path):
    (tmp_path / "page.html").write_text("{{ given }} {{ missing }}")
    with pytest.raises(jinja2.UndefinedError, match="missing"):
        render(tmp_path, "page.html", given=1)


@pytest.mark.parametrize(
    ("step", "files", "others"),
    [
        ("report", ["pages/templates/cohort_page.html", "pages/assets/report.js"], ["show"]),
        ("show", ["pages/templates/scan_page.html"], []),
    ],
)
def test_the_digest_of_a_step_follows_its_templates_and_scripts(tmp_path, step, files, others):
    scripts = Path(shutil.copytree(REPOSITORY / "scripts", tmp_path / "scripts"))
    for name in files:
        before = {s: code_digest(scripts / f"{s}.py") for s in (step, *others)}
        with (scripts / "lesionflow/results" / name).open("a") as file:
            file.write("\n")
        after = {s: code_digest(scripts / f"{s}.py") for s in (step, *others)}
        assert after[step] != before[step], name
        assert name.endswith(".html") or all(after[s] == before[s] for s in others)


def test_a_model_is_cited():
    assert f"doi:{CARD['source']['citation']}" in page()

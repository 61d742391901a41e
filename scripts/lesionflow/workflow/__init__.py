"""The Snakemake side: the setup of a run, processes shared by jobs, patches of Snakemake."""

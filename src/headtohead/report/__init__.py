"""The report: sentences and tables, every number looked up in a results file of the run folder."""

"""The report for a browser, `report.html`: the values for its templates, its pictures and its figures."""

"""`make campaign`: the search for a press that is lost, invented or lied about, in parts that each report findings."""

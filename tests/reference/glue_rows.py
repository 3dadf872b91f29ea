"""Prints the rows of GLUE's files in a folder, as Python's csv module reads them in the script of the hub's dataset.

Quotes are literal, and rows that lack a field are left out. Arguments: files as NAME=PATH, and CoLA's without a header
as NAME=PATH=COLUMN,COLUMN,...
"""
import csv
import json
import sys

rows = {}
for argument in sys.argv[1:]:
    name, path, *columns = argument.split("=")
    with open(path, encoding="utf-8-sig") as file:
        reader = csv.DictReader(file, columns[0].split(",") if columns else None, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows[name] = [{key: value for key, value in row.items() if key} for row in reader if None not in row.values()]
json.dump(rows, sys.stdout)

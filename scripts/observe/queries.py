"""The queries of rules and dashboard, asked of a Prometheus.

A query passes when it gives samples. One that gives none because of what it filters (`> 0`: nothing is wrong) passes when it does
give some with its comparisons asked as questions (`> bool 0`): then the series it reads are there. So no list of exceptions is needed.
"""

import dataclasses
import json
import re
import urllib.error
import urllib.parse
import urllib.request

# What Grafana puts in for a scrape each second.
VARIABLES = {"$__rate_interval": "5s", "$instance": ".+"}
COMPARISON = re.compile(r"(==|!=|>=|<=|>|<)\s*(?=[0-9])")


@dataclasses.dataclass
class Query:
    """One expression, and where it stands."""

    where: str
    expression: str


class Prometheus:
    """A Prometheus' HTTP API, for one window of time."""

    def __init__(self, url):
        self.url, self.start, self.end = url, 0.0, 0.0

    def get(self, path, **parameters):
        """The `data` of an answer; an error is a RuntimeError with Prometheus' own words."""
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error).get("error", str(error))) from error

    def range(self, expression):
        """Series of a query over the window, a sample each second: labels and a list of (time, value) without NaN."""
        found = self.get("query_range", query=expression, start=self.start, end=self.end, step=1)["result"]
        series = [(one["metric"], [(at, float(value)) for at, value in one["values"]]) for one in found]
        series = [(labels, [(at, value) for at, value in samples if value == value]) for labels, samples in series]
        return [(labels, samples) for labels, samples in series if samples]

    def rules(self):
        """Every rule that is loaded."""
        return [rule for group in self.get("rules")["groups"] for rule in group["rules"]]


def substituted(expression):
    """An expression of the dashboard, with Grafana's variables put in."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def of_dashboard(dashboard):
    """The queries of panels, annotations and variables."""
    queries = []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            queries.append(Query(f"panel {panel['title']!r}", substituted(target["expr"])))
    for annotation in dashboard["annotations"]["list"]:
        queries.append(Query(f"annotation {annotation['name']!r}", substituted(annotation["expr"])))
    for variable in dashboard["templating"]["list"]:
        for metric in re.findall(r"label_values\((.+), *\w+\)", variable.get("definition", "")):
            queries.append(Query(f"variable {variable['name']!r}", metric))
    return queries


def of_rules(prometheus):
    """The queries of all rules, and the series that recording rules make."""
    queries = []
    for rule in prometheus.rules():
        queries.append(Query(f"{rule['type']} rule {rule['name']}", rule["query"]))
        if rule["type"] == "recording":
            queries.append(Query(f"recorded by {rule['name']}", rule["name"]))
    return queries


def fault(prometheus, query):
    """What is wrong with a query: an error, or no sample even as a question. None: nothing."""
    try:
        if prometheus.range(query.expression):
            return None
        question = COMPARISON.sub(r"\1 bool ", query.expression)
        if question != query.expression and prometheus.range(question):
            return None
    except RuntimeError as error:
        return f"{query.where}: {error}\n    {query.expression}"
    return f"{query.where}: no sample\n    {query.expression}"


def faults(prometheus, dashboard):
    """All faults of all queries and of the rules' own evaluation, and how many queries were asked."""
    queries = of_rules(prometheus) + of_dashboard(dashboard)
    found = [fault(prometheus, query) for query in queries]
    for rule in prometheus.rules():
        if rule["health"] != "ok":
            found.append(f"rule {rule['name']} is {rule['health']}: {rule.get('lastError')}")
    return [one for one in found if one], len(queries)

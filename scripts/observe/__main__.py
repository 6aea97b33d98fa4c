"""`make observe`: do the rules and the dashboard of deploy/ work?

A real Prometheus watches two jetons under load: one on a Redis, which stands still for some seconds, and one on the embedded store. Then
every query of every rule and every panel is asked, each must give samples, and the panels are drawn from what Prometheus has stored.
Everything listens on loopback and is stopped at the end; what is written lies in target/observe.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import picture
import queries
import services
from processes import Processes

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "target" / "observe"
PICTURE = FOLDER / "dashboard.svg"
RULES = [ROOT / "deploy/prometheus/jeton.rules.yml", ROOT / "deploy/prometheus/jeton.alerts.yml"]
RULE_TESTS = ROOT / "deploy/prometheus/jeton.tests.yml"
COMPOSE = ROOT / "deploy/compose/prometheus.yml"
DASHBOARD = ROOT / "deploy/grafana/jeton.json"

# Seconds from the first load on: what happens when.
RUN_SECONDS = 80
PEAK = (18, 34)
GUESSES = (28, 62)
OUTAGE = (46, 53)
EVERYDAY = {"workload": "mixed=issue:20,introspect:74,revoke:6", "tokens": 1000, "forged": 0.02, "revoked": 0.05}


def main():
    tools = pathlib.Path(os.environ["PROMETHEUS_BIN"])
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))

    with Processes(FOLDER) as processes:
        redis, url = services.start_redis(processes, os.environ["REDIS_SERVER"])
        nodes = [services.Node("jeton-redis", url), services.Node("jeton-memory", "memory:")]
        configuration = services.write_prometheus(FOLDER, nodes, RULES)
        check(tools / "promtool", configuration)

        jeton = ROOT / "target/release/jeton"
        services.write_clients(FOLDER)
        services.make_keys(jeton, FOLDER)
        for node in nodes:
            services.start_jeton(processes, jeton, node)
        prometheus = queries.Prometheus(services.start_prometheus(processes, tools / "prometheus", configuration))
        prometheus.start, prometheus.end = drive(processes, redis, nodes)

        dashboard = json.loads(DASHBOARD.read_text())
        faults, asked = queries.faults(prometheus, dashboard)
        tell(prometheus, faults, asked)
        if faults:
            sys.exit(1)
        PICTURE.write_text(picture.draw(dashboard, prometheus))
        print(f"drawn: {PICTURE.relative_to(ROOT)}")


def check(promtool, configuration):
    """Lets promtool read rules and configurations, and run the rules' unit tests."""
    for arguments in (["check", "rules", *RULES], ["check", "config", configuration, COMPOSE], ["test", "rules", RULE_TESTS]):
        ended = subprocess.run([promtool, *arguments], capture_output=True, text=True)
        print(f"promtool {arguments[0]} {arguments[1]}: {'clean' if ended.returncode == 0 else 'failed'}", flush=True)
        if ended.returncode != 0:
            sys.exit(ended.stdout + ended.stderr)


def drive(processes, redis, nodes):
    """Everyday load on both nodes, a peak, guesses at secrets, an outage of Redis. Gives the window's ends in Unix seconds."""
    on_redis, on_memory = nodes
    loadtest = ROOT / "target/release/jeton-loadtest"

    def load(name, node, seconds, **options):
        return services.start_load(processes, loadtest, name, node, duration=f"{seconds}s", warmup="100ms", **options)

    started = time.time()

    def at(second, what):
        time.sleep(max(0, started + second - time.time()))
        print(f"{second:3} s: {what}", flush=True)

    everyday = [
        load("load-redis", on_redis, RUN_SECONDS, rate=2000, connections=32, **EVERYDAY),
        load("load-memory", on_memory, RUN_SECONDS, rate=1000, connections=16, **EVERYDAY),
    ]
    at(PEAK[0], "a peak")
    load("load-peak", on_redis, PEAK[1] - PEAK[0], connections=64, **EVERYDAY)
    at(GUESSES[0], "guesses at secrets")
    load("load-guesses", on_redis, GUESSES[1] - GUESSES[0], secret="wrong", rate=25, connections=2, workload="issue")
    at(OUTAGE[0], "Redis stands still")
    services.freeze(redis)
    at(OUTAGE[1], "Redis goes on")
    services.thaw(redis)
    at(RUN_SECONDS, "the end")
    for process in everyday:
        process.wait(timeout=20)
        processes.check(process, may_end=True)
    # The first seconds only fill the stocks of tokens and the windows of rates.
    return started + 8, started + RUN_SECONDS


def tell(prometheus, faults, asked):
    """What was found."""
    seen = prometheus.range('max by (alertname) (ALERTS{alertname=~"Jeton.+"})')
    print("alerts pending or firing in the run:", ", ".join(sorted(labels["alertname"] for labels, _ in seen)) or "none")
    for one in faults:
        print(f"fault: {one}")
    print(f"{asked} queries asked, {len(faults)} faults")


main()

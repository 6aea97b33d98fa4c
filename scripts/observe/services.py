"""What is watched: a jeton on a Redis of its own and one on the embedded store, the load on both, and the Prometheus that watches."""

import json
import secrets
import signal
import subprocess

from processes import accepts, answers, free_port

CLIENTS = ["billing", "shipping", "reporting"]
# Small, so that a run of a minute fills a good part of it.
MEMORY_TOKENS_MAX = 20_000
AUDIENCE = "https://api.example.com"


class Node:
    """One jeton and where it listens."""

    def __init__(self, name, store):
        self.name, self.store = name, store
        self.public, self.admin = free_port(), free_port()

    def configuration(self):
        return f"""issuer = "http://127.0.0.1:{self.public}"

[public]
listen = "127.0.0.1:{self.public}"
workers = 2

[admin]
listen = "127.0.0.1:{self.admin}"

[store]
url = "{self.store}"
memory_tokens_max = {MEMORY_TOKENS_MAX}

[keys]
file = "jeton.keys"

[limits]
drain_delay_ms = 0
"""


def write_clients(folder):
    """clients.toml, a file with each secret, and one with a secret that is wrong."""
    text = ""
    for name in [*CLIENTS, "orders-api"]:
        secret = secrets.token_urlsafe(32)
        (folder / f"{name}.secret").write_text(secret)
        text += f'[[client]]\nclient_id = "{name}"\nclient_secret = "{secret}"\n'
        if name in CLIENTS:
            text += f'scope = "orders:read orders:write"\naudience = ["{AUDIENCE}"]\n\n'
        else:
            text += f'grant_types = []\nintrospection = ["{AUDIENCE}"]\n'
    (folder / "clients.toml").write_text(text)
    (folder / "wrong.secret").write_text(secrets.token_urlsafe(32))


def start_redis(processes, redis_server):
    """A Redis that keeps nothing, and its URL."""
    port = free_port()
    redis = processes.start(
        "redis", redis_server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(processes.folder)
    )
    processes.until(redis, "connection", lambda: accepts(port))
    return redis, f"redis://127.0.0.1:{port}"


def start_jeton(processes, program, node):
    """Starts a node and waits until it is ready."""
    configuration = processes.folder / f"{node.name}.toml"
    configuration.write_text(node.configuration())
    process = processes.start(node.name, str(program), "serve", "--config", str(configuration))
    processes.until(process, "readiness", lambda: answers(f"http://127.0.0.1:{node.admin}/health/ready"))


def make_keys(program, folder):
    """The service keys that both nodes share."""
    subprocess.run([program, "keys", "generate", folder / "jeton.keys"], check=True, capture_output=True)


def start_load(processes, program, name, node, secret=None, **options):
    """Load on a node; `options` are those of `jeton-loadtest run`. `secret`: of another client, which will be refused."""
    command = [str(program), "run", "--url", f"http://127.0.0.1:{node.public}"]
    for client in CLIENTS:
        command += ["--client", f"{client}:{processes.folder / f'{secret or client}.secret'}"]
    command += ["--introspect-client", f"orders-api:{processes.folder / 'orders-api.secret'}"]
    for option, value in options.items():
        command += [f"--{option}", str(value)]
    return processes.start(name, *command)


def write_prometheus(folder, nodes, rule_files):
    """prometheus.yml, in JSON, which is YAML."""
    targets = [{"targets": [f"127.0.0.1:{node.admin}"], "labels": {"instance": node.name}} for node in nodes]
    configuration = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(file) for file in rule_files],
        "scrape_configs": [{"job_name": "jeton", "static_configs": targets}],
    }
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration, indent=2))
    return file


def start_prometheus(processes, program, configuration):
    """Starts it on loopback and gives its URL."""
    port = free_port()
    process = processes.start(
        "prometheus",
        str(program),
        f"--config.file={configuration}",
        f"--storage.tsdb.path={processes.folder / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    url = f"http://127.0.0.1:{port}"
    processes.until(process, "readiness", lambda: answers(f"{url}/-/ready"))
    return url


def freeze(process):
    """Lets a process stand still, as if its machine did."""
    process.send_signal(signal.SIGSTOP)


def thaw(process):
    """Lets it go on."""
    process.send_signal(signal.SIGCONT)

"""Checks the files of docker/ against the schemas of their tools, and against each other.

    check.py REPOSITORY

Prints what is wrong and ends with 1, or prints what was checked.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import kubernetes_validate
import yaml

REPOSITORY = Path(sys.argv[1])
DOCKER = REPOSITORY / "docker"
KUBERNETES = DOCKER / "kubernetes"
# Kinds of others than Kubernetes, of which there is no schema here.
FOREIGN = {"Kustomization", "PodMonitor"}

wrong = []


def check(truth, what):
    if not truth:
        wrong.append(what)


def documents(path):
    return list(yaml.safe_load_all(path.read_text()))


def seconds(duration):
    number, unit = re.fullmatch(r"(\d+)(s|m|min)", duration).groups()
    return int(number) * (1 if unit == "s" else 60)


def metrics_of_the_manual():
    table = (REPOSITORY / "src/manual/metrics.md").read_text()
    return set(re.findall(r"^\| `(tributary_\w+)` \|", table, re.M))


def check_compose():
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    path = DOCKER / "compose.yaml"
    ran = subprocess.run([*command, path], capture_output=True, text=True)
    check(ran.returncode == 0, ran.stdout + ran.stderr)
    compose = yaml.safe_load(path.read_text())
    services = compose["services"]
    server = services["tributary"]
    config_text = (DOCKER / "compose/tributary.toml").read_text()
    config = tomllib.loads(config_text)

    for name, service in services.items():
        for volume in service.get("volumes", []):
            source = DOCKER / volume.split(":")[0]
            # Others fill the dashboards and rules.
            later = source.name in {"grafana", "prometheus"} and source.parent == DOCKER
            check(source.exists() or later, f"{name}: no {source}")
        for other in service.get("depends_on", []):
            check(other in services, f"{name} depends on {other}")
        for port in service.get("ports", []):
            check(str(port).startswith("127.0.0.1:"), f"{name}: {port} is open to other machines")
    for variable in re.findall(r'"env:(\w+)"', config_text):
        url = server["environment"].get(variable, "")
        host = re.search(r"[@/]([a-z]+):\d+/", url)
        check(host and host[1] in services, f"{variable}: {url}")
    for address in config["backends"]["weather"]["servers"]:
        check(address.split(":")[0] in services, address)
    ports = {config["server"]["listen"].split(":")[1], config["admin"]["listen"].split(":")[1]}
    published = {port.split(":")[-1] for port in server["ports"]}
    check(ports == published, f"{ports} and {published}")
    grace = seconds(server["stop_grace_period"])
    check(grace > seconds(config["server"]["drain_delay"]) + 10, "stop_grace_period")
    dockerfile = (DOCKER / "Dockerfile").read_text()
    check(f" AS {server['build']['target']}\n" in dockerfile, "the stage of the image")

    prometheus = yaml.safe_load((DOCKER / "compose/prometheus.yaml").read_text())
    targets = prometheus["scrape_configs"][0]["static_configs"][0]["targets"]
    check(targets == [f"tributary:{config['admin']['listen'].split(':')[1]}"], targets)
    sources = yaml.safe_load((DOCKER / "compose/grafana/datasources.yaml").read_text())["datasources"]
    for source in sources:
        check(re.match(r"http://(\w+):", source["url"])[1] in services, source)


def check_kubernetes():
    resources = {}
    for path in sorted(KUBERNETES.glob("*.yaml")):
        if path.name == "prometheus-adapter.yaml":
            continue
        for document in documents(path):
            kind = document["kind"]
            if kind not in FOREIGN:
                try:
                    kubernetes_validate.validate(document, "1.37", strict=True)
                except Exception as err:  # of several kinds
                    wrong.append(f"{path.name}: {err}")
            resources.setdefault(kind, []).append(document)
    listed = set(resources["Kustomization"][0]["resources"])
    files = {path.name for path in KUBERNETES.glob("*.yaml")}
    check(listed == files - {"kustomization.yaml", "prometheus-adapter.yaml"}, listed ^ files)

    config = tomllib.loads(resources["ConfigMap"][0]["data"]["tributary.toml"])
    deployment = resources["Deployment"][0]["spec"]
    pod, labels = deployment["template"]["spec"], deployment["template"]["metadata"]["labels"]
    container = pod["containers"][0]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    listens = {"thrift": config["server"]["listen"], "admin": config["admin"]["listen"]}
    check(ports == {name: int(listen.rpartition(":")[2]) for name, listen in listens.items()}, ports)

    probes = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    for probe, path in probes.items():
        check(container[probe]["httpGet"] == {"path": path, "port": "admin"}, probe)
    routes = (REPOSITORY / "src/manual/admin.md").read_text()
    for path in {*probes.values(), "/metrics"}:
        check(f"| `{path}` |" in routes, path)
    # A pod that stops is seen as not ready before it closes its port.
    readiness = container["readinessProbe"]
    unready = readiness["failureThreshold"] * (readiness["periodSeconds"] + readiness["timeoutSeconds"])
    delay, drain = (seconds(config["server"][key]) for key in ["drain_delay", "drain_timeout"])
    check(unready < delay, f"{unready} s until it is known that the pod is not ready")
    check(delay + drain < pod["terminationGracePeriodSeconds"], "terminationGracePeriodSeconds")
    # The liveness probe takes longer than what it asks for.
    liveness = container["livenessProbe"]
    check(liveness["periodSeconds"] * liveness["failureThreshold"] > 10, "livenessProbe")

    secure, of_pod = container["securityContext"], pod["securityContext"]
    check(secure["readOnlyRootFilesystem"] and not secure["allowPrivilegeEscalation"], secure)
    check(secure["capabilities"] == {"drop": ["ALL"]}, secure)
    check(of_pod["runAsNonRoot"] and of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, of_pod)
    user = re.search(r"^USER (\d+):(\d+)", (DOCKER / "Dockerfile").read_text(), re.M)
    check([of_pod["runAsUser"], of_pod["runAsGroup"]] == [int(id) for id in user.groups()], user[0])
    mounted = container["volumeMounts"][0]["mountPath"]
    check(f"{mounted}/tributary.toml" in container["args"], container["args"])
    spread = {rule["topologyKey"] for rule in pod["topologySpreadConstraints"]}
    check("topology.kubernetes.io/zone" in spread, spread)

    selectors = [deployment["selector"]["matchLabels"]]
    selectors += [service["spec"]["selector"] for service in resources["Service"]]
    selectors += [resources[kind][0]["spec"]["selector"]["matchLabels"] for kind in ["PodDisruptionBudget", "PodMonitor"]]
    selectors += [resources["NetworkPolicy"][0]["spec"]["podSelector"]["matchLabels"]]
    selectors += [rule["labelSelector"]["matchLabels"] for rule in pod["topologySpreadConstraints"]]
    check(all(selector == labels for selector in selectors), selectors)
    named = [port["targetPort"] for service in resources["Service"] for port in service["spec"]["ports"]]
    named += [resources["PodMonitor"][0]["spec"]["podMetricsEndpoints"][0]["port"]]
    named += [port["port"] for rule in resources["NetworkPolicy"][0]["spec"]["ingress"] for port in rule["ports"]]
    check(set(named) == set(ports), named)
    check([service["spec"].get("clusterIP") for service in resources["Service"]] == [None, "None"], "services")

    scaler = resources["HorizontalPodAutoscaler"][0]["spec"]
    check(scaler["scaleTargetRef"]["name"] == resources["Deployment"][0]["metadata"]["name"], scaler)
    rule = documents(KUBERNETES / "prometheus-adapter.yaml")[0]["rules"]["custom"][0]
    check(scaler["metrics"][0]["pods"]["metric"]["name"] == rule["name"]["as"], rule)
    asked = set(re.findall(r"tributary_\w+", rule["seriesQuery"]))
    check(asked <= metrics_of_the_manual(), asked)
    return sum(len(of_kind) for of_kind in resources.values())


def main():
    check_compose()
    count = check_kubernetes()
    envoy = yaml.safe_load((DOCKER / "envoy/envoy.yaml").read_text())["static_resources"]
    check(envoy["clusters"][0]["health_checks"][0]["http_health_check"] == {"path": "/readyz"}, "envoy")
    if wrong:
        sys.exit("\n".join(map(str, wrong)))
    print(f"{count} resources of Kubernetes, compose.yaml and envoy.yaml are as they should be")


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) the kcoro authors
"""``docs/deployment.md``: its manifest and its unit are what they have to be, and fit the programs beside them.

The examples themselves run with those of every page. Rows: X17, Q7.
"""

from __future__ import annotations

import configparser
import re
from typing import Any

import yaml

from kcoro_core.transports.host_port import parse

from .blocks import DOCS, blocks

PAGE = (DOCS / "deployment.md").read_text()
FILES = {block.argument: block.text for block in blocks(DOCS / "deployment.md") if block.order == "file"}
DIALLED = re.search(r"`(tls:jobs\.default[^`]+)`", PAGE)
DRAIN = re.search(r"link\.drain, (\d+)", FILES["jobs_server.py"])


def manifest() -> tuple[Any, Any]:
    """The service and the deployment."""
    service, deployment = yaml.safe_load_all(FILES["jobs.yaml"])
    return service, deployment


def test_the_manifest_is_a_headless_service_and_its_pods() -> None:
    """Row: X17."""
    service, deployment = manifest()
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert service["spec"]["clusterIP"] == "None"
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == labels


def test_what_the_page_dials_is_what_the_service_offers() -> None:
    """Name and port as SRV has them in a cluster. Row: X17."""
    service, deployment = manifest()
    assert DIALLED is not None
    address = parse(DIALLED[1])
    [port] = service["spec"]["ports"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    [offered] = container["ports"]
    assert address.host == f"{service['metadata']['name']}.default.svc.cluster.local"
    assert (address.scheme, address.service, port["protocol"]) == ("tls", port["name"], "TCP")
    assert port["targetPort"] == offered["name"]
    assert parse(container["command"][-1]).port == offered["containerPort"] == port["port"]
    assert container["readinessProbe"]["tcpSocket"]["port"] == offered["name"]
    assert container["livenessProbe"]["tcpSocket"]["port"] == offered["name"]


def test_the_pod_runs_the_program_of_the_page_with_certificates_that_are_mounted() -> None:
    """Row: X17."""
    pod = manifest()[1]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"][1] in FILES
    [mount] = container["volumeMounts"]
    assert [volume["name"] for volume in pod["volumes"]] == [mount["name"]]
    variables = {entry["name"]: entry["value"] for entry in container["env"]}
    assert set(variables) == {"KCORO_TLS_CERTFILE", "KCORO_TLS_KEYFILE", "KCORO_TLS_CAFILE"}
    assert all(path.startswith(f"{mount['mountPath']}/") for path in variables.values())
    assert pod["volumes"][0]["secret"]["defaultMode"] & 0o007 == 0
    assert pod["securityContext"]["runAsNonRoot"] is True


def test_both_give_the_server_more_time_than_it_takes_to_drain() -> None:
    """Row: X17."""
    assert DRAIN is not None
    seconds = int(DRAIN[1])
    assert manifest()[1]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > seconds
    assert int(unit()["Service"]["TimeoutStopSec"]) > seconds


def unit() -> configparser.ConfigParser:
    """The unit, in which names keep their case."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(FILES["jobs.service"])
    return parser


def test_the_unit_serves_at_a_socket_in_its_own_folder() -> None:
    """Row: Q7."""
    found = unit()
    assert found.sections() == ["Unit", "Service", "Install"]
    service = found["Service"]
    program, uri = service["ExecStart"].split()[1:]
    assert program.rpartition("/")[2] in FILES
    assert uri.startswith(f"uds:/run/{service['RuntimeDirectory']}/")
    assert (service["RuntimeDirectoryMode"], service["KillSignal"]) == ("0700", "SIGTERM")

"""The files in export/: read by the programs' own parsers, and alike in what they name."""

import ast
import pathlib
import re
import sys

import pytest
from google.protobuf import text_format

from foc_tf.serving import module
from tests.small_run import ROOT

EXPORT = ROOT / "export"


def parsed(name, message):
    return text_format.Parse((EXPORT / name).read_text(), message)


def test_tf_serving_parses_the_model_configuration():
    configs = pytest.importorskip(
        "tensorflow_serving.config.model_server_config_pb2", reason="needs foc_tf[serve]"
    )
    found = parsed("models.config", configs.ModelServerConfig()).model_config_list.config
    assert [c.model_platform for c in found] == ["tensorflow"]
    # A folder of another name than the model would not be found by the warm-up requests.
    assert all(pathlib.PurePath(c.base_path).name == c.name for c in found)
    assert found[0].model_version_policy.latest.num_versions == 2


def messages(**fields):
    """Messages that TF Serving's package leaves out, of {name: [(field, number, type)]}."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="serving_files.proto", package="serving_files", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    for message, rows in fields.items():
        described = file.message_type.add(name=message)
        for name, number, kind in rows:
            field = described.field.add(name=name, number=number, label=kinds.LABEL_OPTIONAL)
            if kind.startswith("."):
                field.type, field.type_name = kinds.TYPE_MESSAGE, kind
            else:
                field.type = getattr(kinds, f"TYPE_{kind}")
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClassesForFiles(["serving_files.proto"], pool)


def test_the_monitoring_configuration_has_tf_servings_fields():
    """monitoring_config.proto of tensorflow/serving."""
    made = messages(
        PrometheusConfig=[("enable", 1, "BOOL"), ("path", 2, "STRING")],
        MonitoringConfig=[("prometheus_config", 1, ".serving_files.PrometheusConfig")],
    )
    found = parsed("monitoring.config", made["serving_files.MonitoringConfig"]())
    assert found.prometheus_config.enable
    assert found.prometheus_config.path == "/monitoring/prometheus/metrics"


def test_the_batching_parameters_have_tf_servings_fields():
    """session_bundle_config.proto of tensorflow/serving."""
    names = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads")
    rows = [(name, i, ".google.protobuf.Int64Value") for i, name in enumerate(names, start=1)]
    made = messages(BatchingParameters=rows)
    found = parsed("batching.config", made["serving_files.BatchingParameters"]())
    assert found.max_batch_size.value == module.ROWS_AT_ONCE
    assert all(getattr(found, name).value > 0 for name in names)


def test_compose_and_kubernetes_name_what_exists():
    yaml = pytest.importorskip("yaml", reason="needs foc_tf[serve]")
    compose = yaml.safe_load((EXPORT / "docker-compose.yml").read_text())
    service = compose["services"]["serving"]
    inside = {}
    for volume in service["volumes"]:
        source, target, mode = volume.split(":")
        assert mode == "ro"
        inside[target] = EXPORT / source
    for argument in service["command"]:
        assert argument.startswith("--")
        value = argument.partition("=")[2]
        if value.startswith("/"):
            assert inside[value].is_file(), value
    assert inside["/models"].name == "models"
    served = yaml.safe_load((EXPORT / "kserve.yaml").read_text())
    assert served["spec"]["predictor"]["model"]["modelFormat"]["name"] == "tensorflow"
    versions = {
        service["image"].split(":")[1],
        served["spec"]["predictor"]["model"]["runtimeVersion"],
    }
    pins = (ROOT / "constraints" / "tf215.txt").read_text().splitlines()
    assert {f"tensorflow=={v}" for v in versions} <= set(pins)


@pytest.mark.parametrize("path", sorted(EXPORT.glob("*.py")), ids=lambda p: p.name)
def test_programs_there_are_short_and_run_without_foc_tf(path):
    text = path.read_text()
    assert text.count("\n") <= 300
    assert ast.get_docstring(ast.parse(text))
    assert "import foc_tf" not in text
    assert "from foc_tf" not in text


def test_the_client_needs_nothing_but_python():
    """At the top of the file; gRPC's packages are imported when gRPC is asked for."""
    tree = ast.parse((EXPORT / "client.py").read_text())
    names = [n.names[0].name for n in tree.body if isinstance(n, ast.Import)]
    assert not [n for n in tree.body if isinstance(n, ast.ImportFrom)]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_readme_names_files_that_exist():
    text = (EXPORT / "README.md").read_text()
    for name in re.findall(r"[\w/-]+\.(?:py|config|yml|yaml)\b", text):
        assert (EXPORT / name).exists() or (ROOT / name).exists(), name

"""MLflow opened while another thread imports Feast."""

from __future__ import annotations

import subprocess
import sys

# Airflow's workers and the API do both at their start. In a process of its own: an import happens
# once. MLflow imports the plugins of its requests with the first of them.
_BOTH = """
import threading, time, warnings
import mlflow
from ml.registry.tracking import client
from ml.settings import Settings
begins, told = threading.Event(), []

def features():
    begins.wait()
    time.sleep(0.003)
    try:
        from feast import FeatureStore
    except ImportError as error:
        told.append(str(error))

other = threading.Thread(target=features)
other.start()
client(Settings(mlflow_tracking_uri="http://127.0.0.1:1"))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    begins.set()
    import mlflow.tracking.request_header.registry
other.join()
told += [str(each.message) for each in caught if "request header" in str(each.message)]
print("TOLD", told)
"""


def test_neither_gets_half_a_module():
    done = subprocess.run([sys.executable, "-c", _BOTH], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "TOLD []"

"""MLflow's server on this machine alone, which ends with all that it started when the command ends."""

import os
import socket
import subprocess
import sys

from build.cli.exit_codes import DONE
from build.cli.processes import end_session
from lib.core.errors import BadInput

_LOOPBACK = "127.0.0.1"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would send its makers usage data
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # nine more processes, for evaluations by language models
}


def serve(store: str, port: int) -> int:
    """Run MLflow's server on this machine alone until it is stopped, and return its exit status.

    It starts more processes, in a session that an interrupt of ours does not reach: what ends us ends all of them.
    """
    with socket.socket() as free:
        if not free.connect_ex((_LOOPBACK, port)):
            raise BadInput("the port is taken", expected="a free one", got=port, do=f"set PORT={port + 1}")
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", store, "--workers", "1"]
    command += ["--host", _LOOPBACK, "--port", str(port)]
    print(f"MLflow: http://{_LOOPBACK}:{port} (Ctrl-C ends it)", flush=True)
    server = subprocess.Popen(command, env=os.environ | QUIET, start_new_session=True)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return DONE
    finally:
        end_session(server.pid)
        server.wait()

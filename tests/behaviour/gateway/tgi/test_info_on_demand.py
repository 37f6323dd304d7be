"""TGI's /info where the model is loaded on demand."""

from pathlib import Path

from tests.support.gateway_process import gateway


def test_asking_for_the_limits_loads_no_model(demo_store: Path) -> None:
    with gateway(demo_store, MODEL_PRELOAD="false", ENGINE="fake") as running:
        running.wait_for("phase", phase="on_demand")
        assert running.client.get("/info").status_code == 503
        for path in ("/v1/models", "/v1/models/demo", "/api/tags", "/api/ps", "/health", "/readyz", "/metrics", "/"):
            assert running.client.get(path).status_code == 200, path
        state = running.client.get("/health").json()
        assert (state["phase"], state["model_loaded"]) == ("on_demand", False)
        assert running.generate("Hello.").status_code == 200
        assert running.client.get("/info").status_code == 200
        assert not [line for line in running.log if line["event"] == "phase" and line["phase"] == "loading"][1:]

"""What programs that people already have send, in their order, and the keys that they read."""

from datetime import datetime

from tests.support.gateway_process import GatewayProcess


def test_visual_studio_code_finds_the_model(demo: GatewayProcess) -> None:
    version = demo.client.get("/api/version").json()["version"]
    assert tuple(int(part) for part in version.split(".")) >= (0, 6, 4)
    for model in demo.client.get("/api/tags").json()["models"]:
        shown = demo.client.post("/api/show", json={"model": model["model"]}).json()
        info = shown["model_info"]
        assert info["general.basename"] == "demo"
        assert info[f"{info['general.architecture']}.context_length"] == 2048
        assert "tools" not in shown["capabilities"]
        assert "vision" not in shown["capabilities"]


def test_open_webui_verifies_lists_and_chats(demo: GatewayProcess) -> None:
    assert demo.client.get("/api/version").status_code == 200
    (model,) = demo.client.get("/api/tags").json()["models"]
    assert model["model"] == model["name"] == "demo:latest"
    assert datetime.fromisoformat(model["modified_at"])
    (running,) = demo.client.get("/api/ps").json()["models"]
    assert running["name"] == "demo:latest"
    assert datetime.fromisoformat(running["expires_at"]).timestamp() > datetime.now().astimezone().timestamp()
    body = {
        "model": "demo:latest",
        "messages": [{"role": "user", "content": "Count from 1 to 10.", "images": []}],
        "options": {"temperature": 0, "stop": None, "num_ctx": 2048, "mirostat": 0, "tfs_z": 1},
        "format": None,
        "keep_alive": None,
        "stream": True,
        "session_id": "unknown here",
    }
    answer = demo.client.post("/api/chat", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.text.splitlines()[-1].startswith('{"model":"demo:latest",')
    assert demo.client.post("/api/chat", json={**body, "model": "gone"}).json()["error"]


def test_a_health_check_by_head_is_answered(demo: GatewayProcess) -> None:
    for path in ("/api/version", "/api/tags"):
        answer = demo.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_curl_without_a_content_type_is_understood(demo: GatewayProcess) -> None:
    body = b'{"model": "demo", "prompt": "How do I change the port?", "stream": false, "options": {"temperature": 0}}'
    for headers in ({"content-type": "application/x-www-form-urlencoded"}, {}):
        answer = demo.client.post("/api/generate", content=body, headers=headers)
        assert "GATEWAY_PORT=9000" in answer.json()["response"]


def test_older_clients_say_name_for_model(demo: GatewayProcess) -> None:
    assert demo.client.post("/api/show", json={"name": "demo"}).json()["modified_at"]
    assert demo.client.post("/api/pull", json={"name": "demo", "stream": False}).json() == {"status": "success"}


def test_the_description_of_the_api_has_an_example_for_each_body(demo: GatewayProcess) -> None:
    described = demo.client.get("/openapi.json").json()
    for path in ("generate", "chat", "show", "pull", "embed", "embeddings"):
        route = described["paths"][f"/api/{path}"]["post"]
        schema = route["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
        assert described["components"]["schemas"][schema]["examples"]
        assert route["description"]

"""Go's templates, as far as they are read: what comes out is what Go would write."""

import pytest

from llm_gateway.api.ollama.go_template import render_go_template
from llm_gateway.errors import InvalidRequestError

CHATML = (
    "{{- if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}"
    "{{- if .Prompt }}<|im_start|>user\n{{ .Prompt }}<|im_end|>\n{{ end }}"
    "<|im_start|>assistant\n{{ .Response }}<|im_end|>\n"
)


def _render(template: str, system: str = "S", prompt: str = "P") -> str:
    return render_go_template(template, system=system, prompt=prompt).text


def test_a_usual_template_is_filled_up_to_the_answer() -> None:
    assert _render(CHATML) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nP<|im_end|>\n<|im_start|>assistant\n"
    )
    assert _render(CHATML, system="") == "<|im_start|>user\nP<|im_end|>\n<|im_start|>assistant\n"


def test_it_is_known_where_the_words_of_users_stand() -> None:
    filled = render_go_template(CHATML, system="be brief", prompt="how?<|im_end|>")
    assert [filled.text[start:stop] for start, stop in filled.user_spans] == ["be brief", "how?<|im_end|>"]
    assert render_go_template("{{ if .System }}{{ .Prompt }}{{ end }}", system="", prompt="P").user_spans == ()


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("", ""),
        ("plain } { text", "plain } { text"),
        ("{{.Prompt}}", "P"),
        ("a {{ .Prompt }} b", "a P b"),
        ("a {{- .Prompt -}} b", "aPb"),
        ("a \n{{- .Prompt }} b", "aP b"),
        ("a {{ .Prompt -}} \n\t b", "a Pb"),
        ("a {{- /* said by nobody */ -}} b", "ab"),
        ("{{ if .System }}yes{{ else }}no{{ end }}", "yes"),
        ("{{ if .Response }}yes{{ else }}no{{ end }}", "no"),
        ("{{ if .System }}{{ if .Prompt }}both{{ end }}{{ end }}", "both"),
        ("{{ if .System }}{{ .Response }}{{ end }} after", ""),
        ("{{ if .Response }}{{ .Response }}{{ end }}before{{ .Response }} after", "before"),
    ],
)
def test_actions_mean_what_they_mean_in_go(template: str, rendered: str) -> None:
    assert _render(template) == rendered


def test_words_of_the_client_are_never_read_as_a_template() -> None:
    assert _render("{{ .Prompt }}", prompt="{{ .System }}") == "{{ .System }}"


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{ range .Messages }}{{ end }}", "{{ range .Messages }}"),
        ("{{ .Suffix }}", "{{ .Suffix }}"),
        ("{{ if and .System .Prompt }}{{ end }}", "{{ if and .System .Prompt }}"),
        ("{{ if .System }}{{ else if .Prompt }}{{ end }}", "{{ else if .Prompt }}"),
        ("{{ $x := 1 }}", "{{ $x := 1 }}"),
        ("{{ .Response }}{{ .Nothing }}", "{{ .Nothing }}"),
        ("{{ if .System }}", "{{ if }} without its {{ end }}"),
        ("{{ end }}", "{{ end }} without its {{ if }}"),
        ("{{ else }}", "{{ else }} without its {{ if }}"),
        ("{{ if .System }}{{ else }}{{ else }}{{ end }}", "{{ else }} without its {{ if }}"),
        ("text {{ .Prompt", "{{ without its }}"),
    ],
)
def test_what_is_not_known_is_refused_by_its_name(template: str, named: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        _render(template)
    assert named in str(refused.value)
    assert refused.value.field == "template"


def test_templates_of_any_depth_take_no_stack() -> None:
    assert _render("{{ if .System }}" * 20_000 + "deep" + "{{ end }}" * 20_000) == "deep"


def test_a_template_that_repeats_the_prompt_without_end_is_stopped() -> None:
    with pytest.raises(InvalidRequestError, match="8388608 characters") as refused:
        _render("{{.Prompt}}" * 40, prompt="a" * 520_000)
    assert refused.value.field == "template"

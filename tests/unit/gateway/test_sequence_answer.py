"""The answer of one sequence: text, reasoning, calls and tokens, each where it belongs."""

from tokenizers import Tokenizer

from llm_gateway.generation import AnswerPiece, FinishReason, TokenChunk, Tool
from llm_gateway.stream.detokenizer import IncrementalDetokenizer
from llm_gateway.stream.reasoning import ReasoningSplitter
from llm_gateway.stream.sequence_answer import SequenceAnswer
from llm_gateway.stream.sequence_text import SequenceText
from llm_gateway.tool_calls.hermes import Hermes
from tests.unit.gateway import small_tokenizers

TOKENIZER: Tokenizer = small_tokenizers.byte_level()
EOS = TOKENIZER.token_to_id("<|im_end|>")


def _answer(*, stop: tuple[str, ...] = (), **parts: object) -> SequenceAnswer:
    return SequenceAnswer(0, SequenceText(IncrementalDetokenizer(TOKENIZER), stop), **parts)  # type: ignore[arg-type]


def _pieces(answer: SequenceAnswer, text: str, finish: FinishReason = FinishReason.STOP) -> list[AnswerPiece]:
    """Push the text token by token, then the end of turn."""
    ids = TOKENIZER.encode(text).ids
    pieces = [answer.push(TokenChunk(0, [token_id], None, [-0.5])) for token_id in ids]
    return [*pieces, answer.push(TokenChunk(0, [], finish, [], EOS if finish is FinishReason.STOP else None))]


def test_a_plain_answer_is_its_text_and_the_last_piece_says_what_ended_it() -> None:
    pieces = _pieces(_answer(), "the port 🎉")
    assert "".join(piece.text for piece in pieces) == "the port 🎉"
    assert [piece.finish for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert (pieces[-1].finish, pieces[-1].stopped_by) == (FinishReason.STOP, EOS)


def test_a_stop_string_is_what_ended_the_answer_even_where_the_limit_came_at_once() -> None:
    answer = _answer(stop=("port",))
    last = answer.push(TokenChunk(0, TOKENIZER.encode("the port is").ids, FinishReason.LENGTH))
    assert (last.text, last.finish, last.stopped_by) == ("the ", FinishReason.STOP, "port")


def test_reasoning_and_calls_are_taken_out_of_the_text() -> None:
    tool = Tool("look", {"type": "object"}, {})
    answer = _answer(reasoning=ReasoningSplitter(inside=False), calls=Hermes().parser([tool], forced=False))
    pieces = _pieces(
        answer, '<think>\nhm\n</think>\n\nI look.<tool_call>\n{"name": "look", "arguments": {"a": 1}}\n</tool_call>'
    )
    assert "".join(piece.reasoning for piece in pieces) == "hm"
    assert "".join(piece.text for piece in pieces).strip() == "I look."
    [call] = [call for piece in pieces for call in piece.tool_calls]
    assert (call.name, call.arguments) == ("look", '{"a": 1}')


def test_the_texts_of_the_tokens_add_up_to_the_answer() -> None:
    pieces = _pieces(_answer(token_details=True, stop=("house",)), "the emoji 🎉 in the hous")
    tokens = [token for piece in pieces for token in piece.tokens]
    assert "".join(token.text for token in tokens) == "the emoji 🎉 in the hous"
    assert "".join(piece.text for piece in pieces) == "the emoji 🎉 in the hous"
    assert (tokens[-1].token_id, tokens[-1].special) == (EOS, True)
    assert {token.logprob for token in tokens[:-1]} == {-0.5}


def test_after_a_stop_string_no_token_is_shown() -> None:
    ids = TOKENIZER.encode("the port is in the house").ids
    answer = _answer(token_details=True, stop=("port",))
    piece = answer.push(TokenChunk(0, ids, None, [-0.5] * len(ids)))
    assert piece.finish is FinishReason.STOP
    assert "".join(token.text for token in piece.tokens) == "the "

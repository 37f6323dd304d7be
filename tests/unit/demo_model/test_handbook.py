"""The handbook is well-formed, and nothing that is held out reaches training."""

import random

import pytest

from demo_model.augment import Augmenter
from demo_model.conversations import (
    FIRST_LESSON,
    SECOND_LESSON,
    THIRD_LESSON,
    ConversationMaker,
    Lesson,
    conversation_before,
    training_texts,
)
from demo_model.handbook import (
    Topic,
    held_out_forms,
    normalise,
    parse_topics,
    read_fresh_questions,
    read_handbook,
)
from demo_model.keywords import Keywords, words_of

FEWEST_TOPICS = 120
SETTINGS = (
    "MODEL_NAME", "PERFORMANCE_PROFILE", "QUANTIZATION", "MODEL_STORE", "LOG_LEVEL", "BIND_ADDRESS", "GATEWAY_PORT",
    "LOG_FORMAT", "MODEL_PRELOAD", "ENGINE", "OMP_NUM_THREADS", "TORCH_NUM_THREADS", "MAX_CONTEXT_TOKENS",
    "KV_CACHE_SIZE", "KV_CACHE_PRECISION", "INFERENCE_PRECISION", "MAX_NUM_SEQS", "MAX_BATCHED_TOKENS",
    "PREFIX_CACHING", "MAX_CONCURRENT_REQUESTS", "MAX_REQUEST_BYTES", "DEFAULT_MAX_TOKENS", "WARMUP_FILE",
    "MAX_CONCURRENT_TOKENS", "REQUEST_TIMEOUT_S", "SLOW_READER_TIMEOUT_S", "ENGINE_STALL_S",
    "DRAIN_TIMEOUT_S", "HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "SSL_CERT_FILE", "ALLOW_PICKLE",
    "TRUST_REMOTE_CODE", "VERIFY", "KEEP_SOURCE", "STALL_TIMEOUT_S", "DOWNLOAD_RETRIES", "MEMORY_LIMIT",
    "CPU_LIMIT", "PYTHON_IMAGE", "TORCH_INDEX_URL", "API_KEY", "API_KEY_FILE", "ALLOW_UNAUTHENTICATED", "ALLOWED_HOSTS",
    "CORS_ORIGINS", "RATE_LIMIT_REQUESTS", "RATE_LIMIT_TOKENS", "MAX_CONNECTIONS", "REQUEST_READ_TIMEOUT_S",
    "PUBLISHED_ADDRESS", "RAW_CONTROL_TOKENS",
)  # fmt: skip


@pytest.fixture(scope="module")
def topics() -> list[Topic]:
    return read_handbook()


def test_the_handbook_has_many_topics(topics: list[Topic]) -> None:
    assert len(topics) >= FEWEST_TOPICS


def test_every_topic_has_questions_to_learn_and_two_held_out(topics: list[Topic]) -> None:
    thin = [topic.name for topic in topics if len(topic.questions) < 6 or len(topic.held_out) < 2]
    assert thin == []


def test_no_held_out_question_is_trained_on_even_after_normalising(topics: list[Topic]) -> None:
    trained = {normalise(question) for topic in topics for question in topic.questions}
    assert held_out_forms(topics) & trained == set()


def test_every_fresh_question_names_a_topic(topics: list[Topic]) -> None:
    names = {topic.name for topic in topics}
    assert [name for name, _ in read_fresh_questions() if name not in names] == []


def test_fresh_questions_count_as_held_out(topics: list[Topic]) -> None:
    assert {normalise(question) for _, question in read_fresh_questions()} <= held_out_forms(topics)


def test_no_question_leads_to_two_topics(topics: list[Topic]) -> None:
    first_turns = [topic for topic in topics if topic.after is None]
    questions = [normalise(question) for topic in first_turns for question in (*topic.questions, *topic.held_out)]
    assert sorted({question for question in questions if questions.count(question) > 1}) == []


def test_every_setting_is_explained_in_an_answer(topics: list[Topic]) -> None:
    answers = " ".join(answer for topic in topics for answer in topic.answers)
    assert [setting for setting in SETTINGS if setting not in answers] == []


def test_variation_never_makes_a_held_out_question(topics: list[Topic]) -> None:
    forbidden = held_out_forms(topics)
    augmenter = Augmenter(forbidden, random.Random(1))
    varied = {
        normalise(augmenter.vary(question)) for topic in topics for question in topic.questions for _ in range(20)
    }
    assert varied & forbidden == set()


def test_variation_makes_many_ways_of_asking() -> None:
    augmenter = Augmenter(frozenset(), random.Random(1))
    assert len({augmenter.vary("How do I change the port?") for _ in range(300)}) > 100


def test_keywords_come_from_the_topic_and_never_from_what_is_held_out(topics: list[Topic]) -> None:
    keywords = Keywords(topics, random.Random(1))
    for topic in topics:
        known = {word.lower() for text in (*topic.questions, topic.answer) for word in words_of(text)}
        assert set(keywords.query(topic).split()) <= known


@pytest.mark.parametrize("lesson", [FIRST_LESSON, SECOND_LESSON, THIRD_LESSON])
def test_a_conversation_is_the_same_for_the_same_seed(topics: list[Topic], lesson: Lesson) -> None:
    def draw_some() -> list[str]:
        rng = random.Random(7)
        maker = ConversationMaker(topics, Augmenter(held_out_forms(topics), rng), rng, lesson)
        return [piece.text for _ in range(50) for piece in maker.draw()]

    assert draw_some() == draw_some()


def test_what_is_learnt_is_a_whole_answer_or_the_beginning_of_one(topics: list[Topic]) -> None:
    rng = random.Random(7)
    maker = ConversationMaker(
        [topic for topic in topics if topic.after is None], Augmenter(frozenset(), rng), rng, FIRST_LESSON
    )
    answers = {answer for topic in topics for answer in topic.answers}
    learnt = [piece.text.lstrip("\n") for _ in range(300) for piece in maker.draw() if piece.learn]
    handbook_only = [text for text in learnt if not text[0].isdigit() or text.startswith("0 is")]
    assert all(any((answer + "<|im_end|>").startswith(text) for answer in answers) for text in handbook_only)


def test_a_follow_up_is_asked_after_its_topic(topics: list[Topic]) -> None:
    follow_up = next(topic for topic in topics if topic.after == "gateway-port")
    assert [answer for _, answer in conversation_before(follow_up, topics)] == [
        topic.answer for topic in topics if topic.name == "gateway-port"
    ]


def test_a_leak_is_refused_before_training() -> None:
    leaking = [Topic("port", ("8085",), ("Which port?",), ("which PORT",))]
    with pytest.raises(ValueError, match="which port"):
        training_texts(leaking)


def test_a_topic_reads_as_it_is_written() -> None:
    text = "# Title\nA remark.\n\n## port\nIt is 8085.\nOr:\n8085\n\n- Which port?\n\nHeld out:\n\n- What port?\n"
    assert parse_topics(text) == [Topic("port", ("It is 8085.", "8085"), ("Which port?",), ("What port?",))]


def test_a_topic_without_an_answer_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'port' lacks an answer"):
        parse_topics("## port\n\n- Which port?\n")

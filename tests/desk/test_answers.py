"""What is owed: an answer is, until the broker has taken it, and not an earlier one."""

from duty_rig import PureDesk, alarm_of

from desk.answers import Answered, Answers
from desk.batch import Batch
from desk.ledger import Ledger
from desk.register import Register
from desk.silence import Silence

CALL = "petropavl-01-17-3"
OLD, NEW = Answered(CALL, None, 1), Answered(CALL, None, 2)
NOW_MS = 1_800_000_000_000


def test_what_was_overtaken_says_nothing() -> None:
    answers = Answers()
    answers.sent(1, OLD)
    answers.sent(2, NEW)
    answers.on_taken(1)
    assert list(answers.delivered()) == []
    answers.on_taken(2)
    assert list(answers.delivered()) == [NEW]


def test_nor_does_the_answer_before_one_that_could_not_leave() -> None:
    """The broker takes `received`, and goes; then somebody accepts. Red without `owed`: nothing was owed any more, and
    the column never heard that help is coming."""
    answers = Answers()
    answers.sent(1, OLD)
    answers.owed(CALL)
    answers.on_taken(1)
    assert list(answers.delivered()) == []


def test_what_is_decided_in_the_same_moment_is_owed_still(register: Register) -> None:
    """Red when what was taken is written behind what was decided since."""
    desk = PureDesk("desk-1")
    desk.take(*alarm_of_call(), NOW_MS)
    write(register, desk.ledger, Batch(incidents={CALL: True}))
    assert register.unanswered() == [CALL]
    write(register, desk.ledger, Batch(incidents={CALL: True}, answered=[OLD]))
    assert register.unanswered() == [CALL]
    write(register, desk.ledger, Batch(answered=[NEW]))
    assert register.unanswered() == []


def alarm_of_call() -> tuple[str, dict[str, object]]:
    return "sos/v1/nko/petropavl-01/alarm", alarm_of()


def write(register: Register, ledger: Ledger, batch: Batch) -> None:
    batch.write(register, ledger, Silence(), NOW_MS)

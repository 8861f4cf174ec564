"""What a step of the script looks at: one column's lamp and alarms, from a moment on."""

from __future__ import annotations

from sim.demo.desk_client import Incident
from sim.demo.town import CLAIMS, Post, Town

STEP_TIMEOUT_S = 10.0


class StepFailed(Exception):
    """Something was not as it must be; the text says what."""


def require(condition: object, text: str) -> None:
    """Raises StepFailed with `text` unless `condition`."""
    if not condition:
        raise StepFailed(text)


class Watch:
    """What happens at one column from now on."""

    def __init__(self, town: Town, post: Post) -> None:
        self._town = town
        self._post = post
        self._lamps = len(post.lamps)
        self._known = {incident.id for incident in town.register.incidents(post.device_id)}

    def states(self) -> list[str]:
        """What the lamp has shown, in order."""
        return [lamp.state for lamp in self._post.lamps[self._lamps :]]

    def at_ms(self, state: str) -> int:
        """When the lamp first showed `state`, on the column's clock. Raises StepFailed if it did not."""
        times = [lamp.t_ms for lamp in self._post.lamps[self._lamps :] if lamp.state == state]
        require(times, f"the lamp never said {state}")
        return times[0]

    def lamp(self, state: str, timeout_s: float = STEP_TIMEOUT_S) -> None:
        """Wait until the lamp shows `state`. Raises TimeoutError, which says what it showed."""
        what = f"{self._post.device_id}: lamp {state}"
        try:
            self._town.wait_for(lambda: self._post.lamp == state, timeout_s, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; it showed {', '.join(self.states()) or 'nothing new'}") from None

    def claims_nothing(self) -> None:
        """The lamp has not promised an answer or help."""
        claims = [state for state in self.states() if state in CLAIMS]
        require(not claims, f"the lamp claimed {claims}")

    def new_incidents(self) -> list[Incident]:
        """Incidents of this column that the desk did not know before."""
        known = self._town.register.incidents(self._post.device_id)
        return [incident for incident in known if incident.id not in self._known]

    def incident(self, timeout_s: float = STEP_TIMEOUT_S) -> Incident:
        """Wait for the alarm, and make sure that there is only one."""
        what = f"{self._post.device_id}: an alarm at the desk"
        incidents = self._town.wait_for(self.new_incidents, timeout_s, what)
        require(len(incidents) == 1, f"one press, {len(incidents)} alarms: {[each.id for each in incidents]}")
        return incidents[0]

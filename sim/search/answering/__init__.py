"""Who answers: desks with their real code, operators who sleep, leave and err, in virtual time."""

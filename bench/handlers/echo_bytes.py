"""Gives back the bytes it got: what remains is the runtime without JSON."""

from fastlambda import Runner


class Echo(Runner[None, bytes, bytes]):
    def run(self, shared, event):
        return event.event

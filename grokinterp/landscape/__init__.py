"""The loss around a network: noise forms and worst cases."""

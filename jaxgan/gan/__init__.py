"""The two-player game: objective, train step, and the builder of both."""

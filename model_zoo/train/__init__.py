"""Training stages: `python -m model_zoo.train STAGE`. A stage brings its data and its loss; `model_zoo.loop` does the rest."""

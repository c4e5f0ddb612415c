def test_train(toy_recipe, tmp_path):
    import minbert

    r = minbert.train(toy_recipe, tmp_path / "run")
    assert r["raw"] > 0

from support import checks
def test_smoke(world):
    world.connect("user_anna")
    w=world.worker()
    e=world.send(user_id="user_anna")
    r=world.result(e)
    f=checks.assert_accounted(world)
    print(f)
    assert f.journal[0]["external_id"]==checks.external_id(e)

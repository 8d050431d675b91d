"""Bodies that are too long."""

from __future__ import annotations

from serve.hearing import CONSENTS, consent, fault


def test_a_body_that_is_too_long_is_refused_before_it_is_held(client, shelf):
    too_long = bytes(11 << 20)
    assert fault(consent(client, recording=too_long), 413)["code"] == "body_too_large"

    def unannounced():
        yield b'--x\r\nContent-Disposition: form-data; name="recording"; filename="a"\r\n\r\n'
        for _ in range(11):
            yield bytes(1 << 20)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = client.post(CONSENTS, content=unannounced(), headers=kind)
    assert fault(answer, 413)["code"] == "body_too_large" and not shelf.folder.exists()

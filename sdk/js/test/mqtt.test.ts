import assert from "node:assert/strict";
import test from "node:test";
import { connectPacket, MalformedError, PacketReader, packetType, parseAnswer, parsePublish, publishPacket, pubackPacket, type Packet } from "../src/mqtt.js";

test("a stream may be cut anywhere", () => {
  const parts = [connectPacket("id", "user", "password", 60), publishPacket("push", 700, "标题".repeat(5000)), pubackPacket(7), Uint8Array.of(0xd0, 0)];
  const stream = Uint8Array.from(parts.flatMap((p) => [...p]));
  for (const size of [1, 2, 3, 7, 1000, stream.length]) {
    const reader = new PacketReader();
    const got: Packet[] = [];
    for (let at = 0; at < stream.length; at += size) got.push(...reader.push(stream.slice(at, at + size)));
    assert.deepEqual(got.map((p) => p.type), [packetType.connect, packetType.publish, packetType.puback, packetType.pingresp]);
    const p = parsePublish(got[1]!);
    assert.equal(p.topic, "push");
    assert.equal(p.id, 700);
    assert.equal(Buffer.from(p.payload).toString(), "标题".repeat(5000));
    assert.equal(parseAnswer(got[2]!).id, 7);
  }
});

test("properties that a device looks at", () => {
  const text = (s: string) => [0, s.length, ...Buffer.from(s)];
  const properties = [0x21, 0, 16, 0x24, 1, 0x27, 0, 1, 0, 0, 0x13, 0, 240, 0x26, ...text("server_time"), ...text("17"), 0x1f, ...text("no"), 0x1c, ...text("a:1")];
  const a = parseAnswer({ type: packetType.connack, flags: 0, body: Uint8Array.of(0, 0x9c, properties.length, ...properties) });
  assert.deepEqual(a, { id: 0, code: 0x9c, keepAlive: 240, user: { server_time: "17" }, reason: "no", reference: "a:1" });
  assert.deepEqual(parseAnswer({ type: packetType.disconnect, flags: 0, body: new Uint8Array(0) }), { id: 0, code: 0, user: {} });
});

test("bytes that are not MQTT throw nothing but MalformedError", () => {
  let seed = 7;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  const valid = [...publishPacket("push", 1, "{}"), 0x20, 9, 0, 0, 6, 0x13, 0, 60, 0x1c, 0, 0];
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from(valid);
    for (let n = random(4); n >= 0; n--) bytes[random(bytes.length)] = random(256);
    try {
      for (const p of new PacketReader().push(bytes)) {
        if (p.type === packetType.publish) parsePublish(p);
        else parseAnswer(p);
      }
    } catch (error) {
      assert.ok(error instanceof MalformedError, String(error));
    }
  }
  assert.throws(() => new PacketReader().push(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0xff, 1)), MalformedError);
  assert.throws(() => new PacketReader().push(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f)), MalformedError);
});

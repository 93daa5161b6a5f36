import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { Device, MemoryStorage, type Event, type HTTPAsk, type Message, type Options, type Storage } from "../src/index.js";
import { openDevice as openMini, type MiniProgram, type SocketTask } from "../src/miniprogram/index.js";
import { PacketReader, packetType, parsePublish, publishPacket, type Packet } from "../src/mqtt.js";
import { FileStorage } from "../src/node/index.js";

const registration = { registration_id: "rid", secret: "s", mqtt: ["wss://one.example/mqtt"], keep_alive: 0, server_time: Date.now() };

/** A mini-program whose server is in the test: it accepts every connection and tells what comes. */
class FakeMini implements MiniProgram {
  readonly stored = new Map<string, unknown>();
  readonly asked: HTTPAsk[] = [];
  readonly packets: Packet[] = [];
  readonly sockets: { receive(bytes: Uint8Array): void; drop(): void }[] = [];
  network: ((r: { isConnected: boolean }) => void) | undefined;
  down = false;

  connectSocket(o: Parameters<MiniProgram["connectSocket"]>[0]): SocketTask {
    assert.deepEqual(o.protocols, ["mqtt"]);
    const on: { open?: () => void; message?: (m: { data: unknown }) => void; close?: (e?: { code?: number }) => void } = {};
    const reader = new PacketReader();
    const receive = (bytes: Uint8Array) => on.message?.({ data: bytes.slice().buffer });
    setTimeout(() => {
      if (this.down) return o.fail({ errMsg: "connectSocket:fail" });
      this.sockets.push({ receive, drop: () => on.close?.({ code: 1006 }) });
      on.open?.();
    });
    return {
      onOpen: (f) => (on.open = f),
      onMessage: (f) => (on.message = f),
      onError: () => undefined,
      onClose: (f) => (on.close = f),
      send: ({ data }) => {
        assert.ok(data instanceof ArrayBuffer);
        for (const p of reader.push(new Uint8Array(data))) {
          this.packets.push(p);
          if (p.type === packetType.connect) setTimeout(() => receive(Uint8Array.of(0x20, 3, 0, 0, 0)));
        }
      },
      close: () => undefined,
    };
  }
  request(o: Parameters<MiniProgram["request"]>[0]): void {
    this.asked.push({ method: o.method, url: o.url, headers: o.header, ...(o.data ? { body: o.data } : {}) });
    setTimeout(() => o.success({ statusCode: 200, data: JSON.stringify(registration) }));
  }
  getStorage(o: Parameters<MiniProgram["getStorage"]>[0]): void {
    setTimeout(() => (this.stored.has(o.key) ? o.success({ data: this.stored.get(o.key) }) : o.fail({ errMsg: "getStorage:fail data not found" })));
  }
  setStorage(o: Parameters<MiniProgram["setStorage"]>[0]): void {
    this.stored.set(o.key, o.data);
    setTimeout(() => o.success());
  }
  removeStorage(o: Parameters<MiniProgram["removeStorage"]>[0]): void {
    this.stored.delete(o.key);
    setTimeout(() => o.complete());
  }
  onNetworkStatusChange(f: (r: { isConnected: boolean }) => void): void {
    this.network = f;
  }
}

/** Waits until it holds. */
async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    assert.ok(i < 2000, "it does not come true");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const base = { server: "https://one.example/", appKey: "k", platform: "quickapp" as const };

test("a mini-program registers, receives, acknowledges and comes back with the network", async () => {
  const wx = new FakeMini();
  const [got, events]: [Message[], Event[]] = [[], []];
  const device = await openMini(wx, { ...base, random: () => 0.999, onMessage: (m) => void got.push(m), onEvent: (e) => void events.push(e) });
  await device.consent("1", ["push"]);
  device.start();
  await until(() => events.some((e) => e.kind === "connected"));
  assert.equal(wx.asked.length, 1);
  assert.equal(wx.asked[0]!.url, "https://one.example/device/v1/register");
  assert.equal(wx.asked[0]!.headers["X-App-Key"], "k");
  wx.sockets[0]!.receive(publishPacket("push", 9, '{"id":"1","type":"message","message":{"content":"c"}}'));
  await until(() => wx.packets.some((p) => p.type === packetType.puback));
  assert.deepEqual(got, [{ id: "1", type: "message", message: { content: "c" }, silent: false }]);
  assert.ok(String(wx.stored.get("borealis/seen")).includes("message/1"));
  await device.addTags(["a"]);
  await until(() => wx.packets.some((p) => p.type === packetType.publish));
  assert.equal(parsePublish(wx.packets.find((p) => p.type === packetType.publish)!).topic, "up/profile");
  wx.down = true;
  wx.sockets[0]!.drop();
  await until(() => events.filter((e) => e.kind === "error").length >= 1);
  wx.down = false;
  wx.network!({ isConnected: true });
  await until(() => events.filter((e) => e.kind === "connected").length === 2);
  await device.stop();
});

/** A storage that cannot write one document. */
class Full extends MemoryStorage {
  full = "";
  override async put(name: string, document: string): Promise<void> {
    if (name === this.full) throw new Error("disk full");
    await super.put(name, document);
  }
}

test("a message that cannot be remembered is not acknowledged, and shown once", async () => {
  const wx = new FakeMini();
  const storage = new Full();
  const events: Event[] = [];
  let shown = 0;
  const device = await openMini(wx, { ...base, storage, scale: 0.001, onMessage: () => void shown++, onEvent: (e) => void events.push(e) });
  await device.consent("1", ["push"]);
  device.start();
  await until(() => events.some((e) => e.kind === "connected"));
  storage.full = "seen";
  const message = publishPacket("push", 9, '{"id":"1","type":"notification"}');
  wx.sockets[0]!.receive(message);
  await until(() => events.some((e) => e.kind === "error" && e.error.message === "disk full"));
  assert.equal(wx.packets.filter((p) => p.type === packetType.puback).length, 0);
  wx.sockets[0]!.drop();
  await until(() => wx.sockets.length === 2 && events.filter((e) => e.kind === "connected").length === 2);
  wx.sockets[1]!.receive(message);
  await until(() => wx.packets.some((p) => p.type === packetType.puback));
  assert.equal(shown, 1);
  await assert.rejects(() => {
    storage.full = "receipts";
    return device.displayed("1");
  }, /disk full/);
  await device.stop();
});

test("options that cannot work are refused", async () => {
  const on = { transports: [], request: () => Promise.reject(new Error("none")), random: (n: number) => new Uint8Array(n) };
  const good: Options = { ...base, storage: new MemoryStorage() };
  const bad: Partial<Options>[] = [{ server: "one.example" }, { appKey: "" }, { platform: "winphone" as never }, { storage: undefined as unknown as Storage }];
  for (const change of bad) await assert.rejects(() => Device.open({ ...good, ...change } as Options, on), TypeError);
  await Device.open(good, on);
});

test("what is said is bounded", async () => {
  const on = { transports: [], request: () => Promise.reject(new Error("none")), random: (n: number) => new Uint8Array(n) };
  const device = await Device.open({ ...base, storage: new MemoryStorage() }, on);
  await assert.rejects(() => device.setTags(Array.from({ length: 1001 }, (_, i) => `t${i}`)), /too much/);
  for (let i = 0; i < 1100; i++) await device.displayed(`m${i}`);
  assert.equal(device.state.receipts.length, 1000);
  assert.equal(device.state.receipts[999]!.id, "m1099");
});

test("the storage of files", async () => {
  const dir = await mkdtemp(join(tmpdir(), "borealis-"));
  const s = await FileStorage.open(join(dir, "a", "b"));
  assert.equal(await s.get("x"), undefined);
  await s.remove("x");
  for (const text of ["one", "longer 标题", ""]) {
    await s.put("x", text);
    assert.equal(await s.get("x"), text);
  }
  await s.remove("x");
  assert.deepEqual(await readdir(join(dir, "a", "b")), []);
  await rm(dir, { recursive: true });
});

import assert from "node:assert/strict";
import test from "node:test";
import { covers, checkSilence, frameOf } from "../src/message.js";
import { first, forNew, isEmpty, remembered, then, type Profile } from "../src/profile.js";
import { moved } from "../src/life.js";

interface Kept {
  tags: string[];
  alias: string;
  attributes: Record<string, string>;
  push: boolean;
}

/** What the server does with a change. */
function apply(d: Kept, p: Profile): Kept {
  const tags = new Set(p.tags?.set ?? d.tags);
  for (const t of p.tags?.add ?? []) tags.add(t);
  for (const t of p.tags?.remove ?? []) tags.delete(t);
  const attributes: Record<string, string> = { ...d.attributes };
  for (const [k, v] of Object.entries(p.attributes ?? {})) {
    if (v === null) delete attributes[k];
    else attributes[k] = v;
  }
  const sorted = Object.fromEntries(Object.entries(attributes).sort());
  return { tags: [...tags].sort(), alias: p.alias ?? d.alias, attributes: sorted, push: p.push_enabled ?? d.push };
}

test("merged changes do what they do one by one, together and apart", () => {
  let seed = 3;
  const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n;
  const some = () => ["a", "b", "c", "d"].filter(() => random(2) === 0);
  const draw = (): Profile =>
    [
      () => ({ tags: { set: some() } }),
      () => ({ tags: { add: some() } }),
      () => ({ tags: { remove: some() } }),
      () => ({ alias: ["", "x", "y"][random(3)]! }),
      () => ({ attributes: { [some()[0] ?? "e"]: random(2) ? "v" + random(3) : null } }),
      () => ({ push_enabled: random(2) === 0 }),
    ][random(6)]!();
  for (let i = 0; i < 5_000; i++) {
    const begin: Kept = { tags: ["a"], alias: "x", attributes: { a: "1" }, push: true };
    const fresh: Kept = { tags: [], alias: "", attributes: {}, push: true };
    let [want, told, merged, said]: [Kept, Kept, Profile, Profile] = [begin, fresh, {}, {}];
    for (let n = random(8); n > 0; n--) {
      const p = draw();
      [want, told, merged, said] = [apply(want, p), apply(told, p), then(merged, p), remembered(then(said, p))];
    }
    assert.deepEqual(apply(begin, merged), apply(want, {}));
    let apart = begin;
    for (let rest = merged; !isEmpty(rest); ) {
      const [one, others] = first(rest);
      assert.equal(Object.keys(one).length, 1);
      [apart, rest] = [apply(apart, one), others];
    }
    assert.deepEqual(apply(apart, {}), apply(want, {}));
    assert.deepEqual(apply(fresh, forNew(said)), apply(told, {}));
  }
  assert.deepEqual(first({ alias: "a", alias_signature: "s", timezone: "UTC" }), [{ alias: "a", alias_signature: "s" }, { timezone: "UTC" }]);
  assert.deepEqual(then({ alias: "a", alias_signature: "s" }, { alias: "b" }), { alias: "b" });
});

test("silence hours", () => {
  const at = (v: string) => new Date(`2026-01-01T${v}:00`);
  const cases: [string, string, string, boolean][] = [
    ["22:00", "08:00", "21:59", false],
    ["22:00", "08:00", "22:00", true],
    ["22:00", "08:00", "00:00", true],
    ["22:00", "08:00", "08:00", false],
    ["12:00", "13:00", "12:30", true],
    ["12:00", "13:00", "13:00", false],
    ["00:00", "00:00", "15:00", true],
  ];
  for (const [from, to, now, want] of cases) assert.equal(covers({ from, to }, at(now)), want, `${from} to ${to} at ${now}`);
  for (const bad of ["", "8:00", "24:00", "12:60", "noon"]) assert.throws(() => checkSilence({ from: bad, to: "08:00" }), TypeError);
  assert.equal(covers(null, new Date()), false);
});

test("frames that are none say why", () => {
  for (const v of [null, [], "x", 1, {}, { id: "1" }, { id: 1, type: "message" }, { id: "1", type: "hologram" }, { id: "1", type: "withdraw" }, { id: "1", type: "message", title: 1 }]) {
    assert.equal(typeof frameOf(v), "string", JSON.stringify(v));
  }
  assert.deepEqual(frameOf({ id: "1", type: "message", more: 1 }), { id: "1", type: "message", more: 1, silent: false });
});

test("the server that another one names", () => {
  assert.equal(moved("tcp://a.example:1883", "b.example:1884"), "tcp://b.example:1884");
  assert.equal(moved("wss://a.example/mqtt", "b.example"), "wss://b.example/mqtt");
  assert.equal(moved("wss://a.example/mqtt", "b.example/x"), undefined);
  assert.equal(moved("wss://a.example/mqtt", undefined), undefined);
});

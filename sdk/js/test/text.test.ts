import assert from "node:assert/strict";
import test from "node:test";
import { base64, decodeUTF8, encodeUTF8 } from "../src/text.js";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

test("text and bytes are what TextEncoder, TextDecoder and Buffer make of them", () => {
  for (const text of ["", "a", "é", "标题", "🔔🔕", "a\u0000b", "\ud800 alone", "x".repeat(10_000) + "ü"]) {
    assert.deepEqual(encodeUTF8(text), new TextEncoder().encode(text));
    assert.equal(decodeUTF8(new TextEncoder().encode(text)), strict.decode(new TextEncoder().encode(text)));
  }
  let seed = 1;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let i = 0; i < 20_000; i++) {
    const bytes = Uint8Array.from({ length: Math.floor(random() * 6) }, () => (random() < 0.5 ? 0x7f : 0x80) + Math.floor(random() * 128));
    let want: string | undefined;
    try {
      want = strict.decode(bytes);
    } catch {
      want = undefined;
    }
    assert.equal(decodeUTF8(bytes), want, String(bytes));
    assert.equal(base64(bytes), Buffer.from(bytes).toString("base64"));
  }
});

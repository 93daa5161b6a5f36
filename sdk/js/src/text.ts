// UTF-8 and base64 by hand: mini-programs have neither TextDecoder nor btoa.

/** The bytes of a text; lone surrogates become U+FFFD. */
export function encodeUTF8(text: string): Uint8Array {
  const out: number[] = [];
  for (const c of text) {
    let p = c.codePointAt(0)!;
    if (p >= 0xd800 && p <= 0xdfff) p = 0xfffd;
    if (p < 0x80) out.push(p);
    else if (p < 0x800) out.push(0xc0 | (p >> 6), 0x80 | (p & 63));
    else if (p < 0x10000) out.push(0xe0 | (p >> 12), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63));
    else out.push(0xf0 | (p >> 18), 0x80 | ((p >> 12) & 63), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63));
  }
  return Uint8Array.from(out);
}

/** The text of bytes; undefined if they are not UTF-8. */
export function decodeUTF8(bytes: Uint8Array): string | undefined {
  const parts: string[] = [];
  let chunk: number[] = [];
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i++]!;
    let p = first;
    let more = 0;
    let least = 0;
    if (first >= 0xf0 && first < 0xf8) [p, more, least] = [first & 7, 3, 0x10000];
    else if (first >= 0xe0 && first < 0xf0) [p, more, least] = [first & 15, 2, 0x800];
    else if (first >= 0xc0 && first < 0xe0) [p, more, least] = [first & 31, 1, 0x80];
    else if (first >= 0x80) return undefined;
    for (; more > 0; more--) {
      const b = bytes[i++];
      if (b === undefined || (b & 0xc0) !== 0x80) return undefined;
      p = (p << 6) | (b & 63);
    }
    if (p < least || p > 0x10ffff || (p >= 0xd800 && p <= 0xdfff)) return undefined;
    chunk.push(p);
    if (chunk.length === 4096) {
      parts.push(String.fromCodePoint(...chunk));
      chunk = [];
    }
  }
  parts.push(String.fromCodePoint(...chunk));
  return parts.join("");
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Base64 of bytes, with padding. */
export function base64(bytes: Uint8Array): string {
  let out = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const [a, b, c] = [bytes[i]!, bytes[i + 1], bytes[i + 2]];
    out += digits[a >> 2]! + digits[((a & 3) << 4) | ((b ?? 0) >> 4)]!;
    out += b === undefined ? "=" : digits[((b & 15) << 2) | ((c ?? 0) >> 6)]!;
    out += c === undefined ? "=" : digits[c & 63]!;
  }
  return out;
}

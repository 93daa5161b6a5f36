/** The bytes of a text; lone surrogates become U+FFFD. */
export declare function encodeUTF8(text: string): Uint8Array;
/** The text of bytes; undefined if they are not UTF-8. */
export declare function decodeUTF8(bytes: Uint8Array): string | undefined;
/** Base64 of bytes, with padding. */
export declare function base64(bytes: Uint8Array): string;

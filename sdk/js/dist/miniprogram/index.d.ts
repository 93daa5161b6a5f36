import { Device } from "../device.js";
import type { Options } from "../options.js";
import type { Channel, Transport, TransportEvents } from "../seams.js";
import type { Storage } from "../storage.js";
export * from "../index.js";
/** What the SDK needs of wx, uni, tt, my … */
export interface MiniProgram {
    connectSocket(o: {
        url: string;
        protocols: string[];
        complete: () => void;
        fail: (e: {
            errMsg?: string;
        }) => void;
    }): SocketTask;
    request(o: {
        url: string;
        method: never;
        header: Record<string, string>;
        data?: string;
        dataType: string;
        responseType: never;
        timeout: number;
        success: (r: {
            statusCode: number;
            data: unknown;
            header?: Record<string, unknown>;
        }) => void;
        fail: (e: {
            errMsg?: string;
        }) => void;
    }): unknown;
    getStorage(o: {
        key: string;
        success: (r: {
            data: unknown;
        }) => void;
        fail: (e: {
            errMsg?: string;
        }) => void;
    }): unknown;
    setStorage(o: {
        key: string;
        data: unknown;
        success: () => void;
        fail: (e: {
            errMsg?: string;
        }) => void;
    }): unknown;
    removeStorage(o: {
        key: string;
        complete: () => void;
    }): unknown;
    onNetworkStatusChange?(listener: (r: {
        isConnected: boolean;
    }) => void): void;
}
/** A socket of a mini-program. */
export interface SocketTask {
    onOpen(f: () => void): void;
    onMessage(f: (m: {
        data: unknown;
    }) => void): void;
    onError(f: (e: {
        errMsg?: string;
    }) => void): void;
    onClose(f: (e?: {
        code?: number;
        reason?: string;
    }) => void): void;
    send(o: {
        data: ArrayBuffer;
    }): void;
    close(o: object): void;
}
/** Opens the mini-program's device. wx is the object with the platform's API. */
export declare function openDevice(wx: MiniProgram, options: Omit<Options, "storage"> & Partial<Pick<Options, "storage">>): Promise<Device>;
/** Speaks MQTT over the sockets of a mini-program. */
export declare class MiniProgramTransport implements Transport {
    private readonly wx;
    readonly schemes: string[];
    constructor(wx: MiniProgram);
    open(address: string, events: TransportEvents): Channel;
}
/** The storage of a mini-program, under names of its own. */
export declare class MiniProgramStorage implements Storage {
    private readonly wx;
    private readonly prefix;
    constructor(wx: MiniProgram, prefix?: string);
    get(name: string): Promise<string | undefined>;
    put(name: string, document: string): Promise<void>;
    remove(name: string): Promise<void>;
}

import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
/** A directory with a file for each document. */
export class FileStorage {
    constructor(dir) {
        this.dir = dir;
    }
    /** Makes the directory, readable by its owner alone, if it is not there. */
    static async open(dir) {
        await mkdir(dir, { recursive: true, mode: 0o700 });
        return new FileStorage(dir);
    }
    file(name) {
        return join(this.dir, name + ".json");
    }
    async get(name) {
        try {
            return await readFile(this.file(name), "utf8");
        }
        catch (error) {
            if (error.code === "ENOENT")
                return undefined;
            throw error;
        }
    }
    /** The file is complete on the disk before it takes the place of the older one. */
    async put(name, document) {
        const beside = this.file(name) + ".tmp";
        const f = await open(beside, "w", 0o600);
        try {
            await f.writeFile(document);
            await f.sync();
        }
        finally {
            await f.close();
        }
        await rename(beside, this.file(name));
    }
    async remove(name) {
        await rm(this.file(name), { force: true });
    }
}

// Which names can only mean a file inside a folder.

/** Longest name of a file, with its folders. */
const MAX_NAME_CHARS = 1024;

/**
 * Whether a name can only mean a file inside a folder, in every system and in URLs. Names come out of files (an index of
 * shards) and are hostile: no "..", no absolute paths, schemes, drives, streams of NTFS, or control characters. Windows
 * drops dots and spaces at the end of a part.
 */
export function isInside(name: unknown): boolean {
  if (typeof name !== "string" || name.length > MAX_NAME_CHARS) return false;
  if (/[\\:*?"<>|]|[\ud800-\udfff]/u.test(name)) return false;
  for (let i = 0; i < name.length; i++)
    if (name.charCodeAt(i) < 32 || name.charCodeAt(i) === 127) return false;
  return name.split("/").every((part) => part !== "" && !/[. ]$/.test(part));
}

/** Gives a registry the packages of others that ours need, from what is installed here. */
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quiet } from '../../lib.mjs';
import { publishedPackages, SCOPE } from '../packages.mjs';
import { readTarball } from '../registry.mjs';

/** Publishes what some of our packages depend on. What they depend on needs nothing itself. */
export async function publishForeign(shorts, folder, { address, token }) {
  const places = new Map();
  for (const { short, folder: own, manifest } of publishedPackages())
    if (shorts.includes(short))
      for (const name of Object.keys(manifest.dependencies ?? {}))
        if (!name.startsWith(`${SCOPE}/`)) places.set(name, join(own, 'node_modules', name));
  for (const [name, place] of places) {
    const stage = join(folder, name);
    cpSync(place, join(stage, 'package'), { recursive: true, dereference: true });
    quiet('tar', ['-czf', 'package.tgz', 'package'], { cwd: stage });
    await upload(join(stage, 'package.tgz'), address, token);
  }
}

/** Uploads a tarball as npm does, without npm, which takes a second for each. */
async function upload(file, address, token) {
  const { name, version, integrity, manifest } = readTarball(file);
  const tarball = `${name}-${version}.tgz`;
  const data = readFileSync(file, 'base64');
  const dist = { integrity, tarball: new URL(`${name}/-/${tarball}`, address).href };
  const body = {
    _id: name,
    name,
    'dist-tags': { latest: version },
    versions: { [version]: { ...manifest, dist } },
    _attachments: { [tarball]: { content_type: 'application/octet-stream', data, length: data.length } },
  };
  const response = await fetch(new URL(name.replace('/', '%2f'), address), {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`the registry refuses ${name}: ${response.status} ${await response.text()}`);
}

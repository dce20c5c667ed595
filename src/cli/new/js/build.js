// handler.js -> ../{name}.wasm, for the world in wit/.
import { readFile, rename, writeFile } from 'node:fs/promises';

import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize(await readFile('handler.js', 'utf8'), {
  witPath: 'wit',
  worldName: 'webhook-handler',
});
// Renamed into place, so that who watches the folder never reads half a file.
await writeFile('handler.wasm', component);
await rename('handler.wasm', '../{name}.wasm');

// handler.js -> ../{name}.wasm, for the world in wit/. componentize-js uses preview2-shim without asking
// for it, and finds no WIT on Node.js 20 with a later one than package.json names.
import { readFile, rename, writeFile } from 'node:fs/promises';

import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize(await readFile('handler.js', 'utf8'), {
  witPath: 'wit',
  worldName: 'webhook-handler',
});
// Renamed into place, so that who watches the folder never reads half a file.
await writeFile('handler.wasm', component);
await rename('handler.wasm', '../{name}.wasm');

// handler.js -> handler.wasm, for the world in ../../wit.
import { readFile, writeFile } from 'node:fs/promises';

import { componentize } from '@bytecodealliance/componentize-js';

const { component } = await componentize(await readFile('handler.js', 'utf8'), {
  witPath: '../../wit',
  worldName: 'webhook-handler',
});
await writeFile('handler.wasm', component);

// node registry-process.mjs CONFIG: runs a registry on a free port, and sends its address to its parent.
import process from 'node:process';
import { runServer } from 'verdaccio';

const server = await runServer(process.argv[2]);
server.listen(0, '127.0.0.1', () => process.send(`http://127.0.0.1:${server.address().port}/`));
process.once('disconnect', () => process.exit());

/** A module as `--backend` takes it: the reference, but its scan forgets D. */
import { reference } from '@mamba/reference';

export default {
  name: 'broken',
  async create() {
    const backend = await reference().create();
    return new Proxy(backend, {
      get(target, key) {
        if (key === 'name') return 'broken';
        if (key === 'selectiveScan') {
          return (u, delta, A, B, C, options) => target.selectiveScan(u, delta, A, B, C, { ...options, D: undefined });
        }
        const value = Reflect.get(target, key, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  },
};

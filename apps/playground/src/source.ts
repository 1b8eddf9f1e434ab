import { hubIdOfAddress } from './hub-id.ts';

/** Where a model comes from. */
export type Source =
  | { readonly kind: 'shipped' }
  | { readonly kind: 'hub'; readonly id: string }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'files'; readonly files: readonly File[] };

/** The address of the shipped model. */
export const SHIPPED = 'models/kjv-mamba/';

/** What a model is loaded from, and what the page calls it. */
export function locate(source: Source): { readonly location: string | readonly File[]; readonly title: string } {
  switch (source.kind) {
    case 'shipped':
      return { location: new URL(SHIPPED, document.baseURI).href, title: 'KJV Mamba' };
    case 'hub': {
      const id = hubIdOfAddress(source.id) ?? source.id.trim().replace(/^hf:/, '');
      return { location: `hf:${id}`, title: id };
    }
    case 'url': {
      const id = hubIdOfAddress(source.url);
      if (id !== undefined) return { location: `hf:${id}`, title: id };
      const url = new URL(source.url.trim(), document.baseURI);
      return { location: url.href, title: url.pathname.split('/').filter(Boolean).at(-1) ?? url.host };
    }
    case 'files': {
      const [first] = source.files;
      if (first === undefined) throw new Error('Choose the files of a model first.');
      return { location: source.files, title: first.webkitRelativePath.split('/')[0] || first.name };
    }
  }
}

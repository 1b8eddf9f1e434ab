// The width of an element in a page, so that the text of a picture keeps its size whatever the window's width is.
import { onBeforeUnmount, onMounted, type Ref, ref } from 'vue';

/** The width of a page's text on a wide window, in pixels. */
export const TEXT_WIDTH = 620;

/** Returns the element's width in pixels, or the width of a page's text before there is one. */
export function widthOf(element: Ref<HTMLElement | undefined>): Ref<number> {
  const width = ref(TEXT_WIDTH);
  let observer: ResizeObserver | undefined;
  onMounted(() => {
    observer = new ResizeObserver(([entry]) => {
      if (entry !== undefined && entry.contentRect.width > 0) width.value = Math.round(entry.contentRect.width);
    });
    observer.observe(element.value!);
  });
  onBeforeUnmount(() => observer?.disconnect());
  return width;
}

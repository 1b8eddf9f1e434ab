import { useEffect, useState } from 'preact/hooks';

/** Returns the width within the box around an element in CSS pixels, and follows its changes. */
export function useRoom(element: { readonly current: Element | null }): number {
  const [room, setRoom] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setRoom(entry!.contentRect.width));
    observer.observe(element.current!.parentElement!);
    return () => observer.disconnect();
  }, [element]);
  return room;
}

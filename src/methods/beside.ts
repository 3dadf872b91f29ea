// Puts a side network beside a backbone, which then stays as it is.

import type { Insertion } from "../models/adaptation.ts";
import type { Backbone } from "../models/contract.ts";
import type { SideNetwork } from "../models/side_network.ts";

/** Why a method with a side network stands alone. */
export const nothingElse = "it trains beside a frozen backbone, in which another method would get no gradient";

/** Puts it there. No weights of the backbone compute what it does. */
export function placeBeside({ side }: Backbone, network: SideNetwork): Insertion {
  side.put(network);
  return {
    module: network,
    detach: () => side.put(null),
    attach: () => side.put(network),
    merging: null,
  };
}

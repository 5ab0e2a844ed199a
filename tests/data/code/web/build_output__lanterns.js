"use strict";
Object.defineProperty(exports, "__esModule", { value: true });
exports.dim = exports.Lantern = void 0;
class Lantern {
    constructor(wick, oil) {
        this.wick = wick;
        this.oil = oil;
    }
    burn(hours) {
        const used = Math.min(this.oil, hours * this.wick);
        this.oil -= used;
        return used;
    }
}
exports.Lantern = Lantern;
function dim(lantern) {
    return new Lantern(lantern.wick / 2, lantern.oil);
}
exports.dim = dim;

// What the content scripts share in their isolated world. Each of them adds its part.
declare var antifake: any;

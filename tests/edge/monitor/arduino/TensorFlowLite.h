// A stand-in for the library's own header.
#pragma once

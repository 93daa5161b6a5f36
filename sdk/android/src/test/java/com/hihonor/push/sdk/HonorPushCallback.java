package com.hihonor.push.sdk;

/** Stands in for the interface of this name in Honor's library. */
public interface HonorPushCallback<T> {
  void onSuccess(T result);

  void onFailure(int code, String message);
}
